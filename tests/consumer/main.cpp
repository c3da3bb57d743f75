#include <lab/core/dtype.hpp>
#include <lab/core/version.hpp>

int main() { return lab::version.empty() || lab::block_size(lab::dtype::q4_k) != 256 ? 1 : 0; }
