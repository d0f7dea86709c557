// What the card's own checks call when they fail: the simulation ends there.
#include <cstdio>
#include <cstdlib>
extern "C" void azote_check_failed(const char* what) {
    std::fprintf(stderr, "a check of the card's own failed: %s\n", what);
    std::exit(1);
}
