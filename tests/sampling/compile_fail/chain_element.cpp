// Must not compile: an element without apply() is no Sampler.
#include "lab/sampling/chain.hpp"

struct no_sampler {};

int main() {
    lab::sampling::chain c{no_sampler{}, lab::sampling::greedy{}};
    (void)c;
}
