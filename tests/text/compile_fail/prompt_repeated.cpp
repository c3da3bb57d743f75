// Must not compile: the field `who` gets two values.
#include "lab/text/prompt.hpp"

int main() {
    using ask = lab::text::prompt<"Ask {{who}} about {{topic}}.">;
    return static_cast<int>(
        ask::render(lab::text::field<"who">("Ada"), lab::text::field<"topic">("ships"), lab::text::field<"who">("Bob"))
            .size());
}
