// docs/run.md: LAB from taxonomy to trained model, in a program of one's own.
#include <iostream>
#include <lab/run/lab_run.hpp>

int main(int argc, char** argv) {
    if (argc != 4) {
        std::cerr << "usage: lab_run TAXONOMY MODEL OUT\n";
        return 2;
    }
    auto tree = lab::taxonomy::load(argv[1]);
    lab::run::lab_run run{
        std::move(tree),
        lab::run::local_teacher_source(argv[2]),
        *lab::replay::find_phases("lab"),
        lab::replay::stratified{.seed = 7},
        {.generation = {.seed = 7}, .training = {.heldout = argv[1], .trainer = {.seed = 7}}, .taxonomy = argv[1]}};
    lab::run::lab_listener on;
    on.step = [](const auto& s) { std::cout << s.total_step << ' ' << s.loss << '\n'; };
    const auto result = run.execute(argv[2], argv[3], on);  // again: goes on, or finds that all is done
    std::cout << (result.finished ? "finished\n" : "stopped\n");
}
