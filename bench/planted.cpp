// Precision and recall of the knowledge checks against planted faults, for judges that err more and more (Markdown).
// tests/support/planted.hpp says what is planted. planted [TOWNS [SHARE OF FAULTS]]
#include "support/planted.hpp"

#include <cstdlib>
#include <iostream>

int main(int argc, char** argv) {
    using namespace lab;
    const std::size_t towns = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 105;
    const double faults = argc > 2 ? std::strtod(argv[2], nullptr) : 0.35;
    if (towns < 7 || towns > 150 || !(faults >= 0 && faults <= 1)) {
        std::cerr << "planted [TOWNS from 7 to 150 [SHARE OF FAULTS from 0 to 1]]\n";
        return 2;
    }
    for (const double error : {0.0, 0.02, 0.05, 0.1}) {
        const auto table = test::plant(towns, faults, error, 11);
        std::cout << "A judge that errs in " << 100 * error << " % of its judgements: " << table.spoilt << " of "
                  << table.proposed << " pairs spoilt; " << table.covered << " of " << table.facts
                  << " facts have a kept question, " << table.writable << " have a sound pair\n\n"
                  << table.to_text() << '\n';
    }
}
