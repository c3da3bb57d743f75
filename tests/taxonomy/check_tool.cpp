// Prints one JSON line for each qna.yaml below the given paths, as `lab-generate --check --json` does. Used by
// tests/goldens/taxonomy_goldens.py to compare judgements with instructlab-schema.
#include <iostream>

#include "lab/taxonomy/check.hpp"

int main(int argc, char** argv) {
    bool valid = true;
    for (int i = 1; i < argc; ++i) {
        try {
            const auto reports = lab::taxonomy::check(argv[i]);
            for (const auto& report : reports) std::cout << lab::taxonomy::to_json_line(report) << '\n';
            valid = valid && lab::taxonomy::all_valid(reports);
        } catch (const lab::error& fault) {
            std::cerr << fault.what() << '\n';
            return 2;
        }
    }
    return valid ? 0 : 1;
}
