// A tiny slicer: asks once, writes an output and reports it.
//
//   g++ -std=c++17 -o slicer main.cpp
//   ./slicer /usr/bin/slicemetry-agent -endpoint telemetry.example.org:443
#include "slicemetry.hpp"

#include <cstdio>
#include <iostream>

// ask puts the question, with two equal answers. The end of the input is no.
static void ask(slicemetry::Agent &agent) {
    std::string answer;
    do {
        std::cout << "May this program report, coarsely and without identifiers, what you slice?\n"
                     "  [y] yes, send it   [n] no, send nothing   [s] show what can be sent\n";
        if (!std::getline(std::cin, answer)) answer = "n";
        if (answer == "s") std::cout << agent.run({"fields"}).text;
    } while (answer != "y" && answer != "n");
    slicemetry::Answer noted = answer == "y" ? agent.grant() : agent.refuse();
    if (noted.code == 3) std::cout << "nothing is sent all the same: " << agent.consent().rule << "\n";
}

int main(int argc, char **argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s path/to/slicemetry-agent [its flags]\n", argv[0]);
        return 2;
    }
    slicemetry::Agent agent(argv[1], std::vector<std::string>(argv + 2, argv + argc));
    if (agent.consent().ask) ask(agent);
    agent.upload();

    // ... slice, write the file, and close it ...

    agent.count(slicemetry::Event().number("slicesStarted", 1).number("slicesFinished", 1));
    slicemetry::Event output;
    output.text("machine", "prusa_i3_mk3")
        .text("application", "prusaslicer")
        .number("layerHeightUm", 200)
        .text("adhesion", "ADHESION_SKIRT")
        .texts("changedSettings", {"layer_height", "infill_pattern"})
        .number("changedSettingsCount", 2)
        .item("extruders", slicemetry::Event().text("materialType", "PLA").number("usedMg", 12345))
        .item("extruders", slicemetry::Event().text("materialType", "a \"user's\" own\\name"))
        .number("printTimeS", 3600);
    if (!agent.record(output)) {
        std::puts("not reported: no agent");
    }
    return 0;
}
