// Must not compile: the call operator gives no rows.
#include "lab/sdg/blocks/registry.hpp"

struct silent {
    static constexpr std::string_view type = "SilentBlock";
    static silent read(lab::sdg::blocks::config_reader&) { return {}; }
    void operator()(lab::sdg::blocks::block_run&, lab::sdg::blocks::table) const {}
};

int main() {
    lab::sdg::blocks::block_registry registry;
    registry.add<silent>();
}
