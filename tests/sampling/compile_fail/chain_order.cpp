// Must not compile: a selector anywhere but at the end would never be asked.
#include "lab/sampling/chain.hpp"

int main() {
    const auto c = lab::sampling::chain<lab::sampling::greedy, lab::sampling::top_k>{{}, {}};
    (void)c;
}
