// A tiny slicer: writes an output and reports it.
//
//   g++ -std=c++17 -o slicer main.cpp
//   slicemetry-agent consent grant        # after the user said yes
//   ./slicer /usr/bin/slicemetry-agent -endpoint telemetry.example.org:443
#include "slicemetry.hpp"

#include <cstdio>

int main(int argc, char **argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s path/to/slicemetry-agent [its flags]\n", argv[0]);
        return 2;
    }
    slicemetry::Agent agent(argv[1], std::vector<std::string>(argv + 2, argv + argc));
    agent.upload();

    // ... slice, and write the file ...

    slicemetry::Event output;
    output.text("machine", "prusa_i3_mk3")
        .text("application", "prusaslicer")
        .number("layerHeightUm", 200)
        .text("adhesion", "ADHESION_SKIRT")
        .item("extruders", slicemetry::Event().text("materialType", "PLA").number("usedMg", 12345))
        .item("extruders", slicemetry::Event().text("materialType", "a \"user's\" own\\name"))
        .number("printTimeS", 3600);
    if (!agent.record(output)) {
        std::puts("not reported: no agent");
    }
    return 0;
}
