// What a host asks of the header: nothing waits for an agent that hangs, and it holds
// none of the host's files. The Go test beside this folder gives the agent.
#include "../slicemetry.hpp"

#include <cstdio>

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    std::FILE *gcode = std::fopen(argv[2], "w"); // as slicers open it: others inherit it
    slicemetry::Agent agent(argv[1]);
    slicemetry::Event many, far_too_many;
    many.texts("changedSettings", std::vector<std::string>(1000, "layer_height"));
    far_too_many.texts("changedSettings", std::vector<std::string>(1000000, "layer_height"));
    bool took = agent.record(many), counted = agent.count(slicemetry::Event().number("slicesStarted", 1));
    bool refused = !agent.record(far_too_many);
    std::printf("%d %d %d %d\n", took, counted, refused, agent.upload());
    std::fclose(gcode);
    return 0;
}
