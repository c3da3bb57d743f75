// Must not compile: the field `topic` gets no value.
#include "lab/text/prompt.hpp"

int main() {
    using ask = lab::text::prompt<"Ask {{who}} about {{topic}}.">;
    return static_cast<int>(ask::render(lab::text::field<"who">("Ada")).size());
}
