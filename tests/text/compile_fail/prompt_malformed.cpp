// Must not compile: the braces of the second field never close.
#include "lab/text/prompt.hpp"

int main() {
    using ask = lab::text::prompt<"Ask {{who}} about {{topic}.">;
    return static_cast<int>(ask::render(lab::text::field<"who">("Ada")).size());
}
