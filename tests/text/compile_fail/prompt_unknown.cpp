// Must not compile: the prompt has no field `colour`.
#include "lab/text/prompt.hpp"

int main() {
    using ask = lab::text::prompt<"Ask {{who}} about {{topic}}.">;
    return static_cast<int>(ask::render(lab::text::field<"who">("Ada"), lab::text::field<"topic">("ships"),
                                        lab::text::field<"colour">("red"))
                                .size());
}
