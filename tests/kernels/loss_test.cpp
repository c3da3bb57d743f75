#include "lab/kernels/loss.hpp"

#include "kernels/support.hpp"

BOOST_AUTO_TEST_SUITE(loss)

using namespace lab;
using namespace lab::test;

BOOST_AUTO_TEST_CASE(cross_entropy_and_its_gradient_match_the_twin) {
    thread_pool pool(2);
    const native_cpu cpu(pool);
    const kernels::reference<double> reference;
    for (const std::size_t vocab : {1u, 15u, 16u, 17u, 1023u, 1024u, 1025u, 5000u}) {
        auto logits = random<2>({5, vocab}, vocab, 5.0);
        std::vector<token> targets;
        for (std::size_t i = 0; i < 5; ++i) targets.push_back(static_cast<token>(i * 7 % vocab));
        auto logits_d = in_double(logits);
        tensor<float, 1> losses({5});
        tensor<double, 1> expected({5});
        cpu.cross_entropy(logits, targets, losses);
        reference.cross_entropy(logits_d, targets, expected);
        BOOST_TEST(largest_error(losses, expected) < 8 * epsilon * (1.0 + largest_magnitude(expected)));
        cpu.cross_entropy_backward(logits, targets, 0.25);
        reference.cross_entropy_backward(logits_d, targets, 0.25);
        BOOST_TEST(largest_error(logits, logits_d) < 8 * epsilon);
    }
}

BOOST_AUTO_TEST_CASE(a_row_without_target_costs_nothing) {
    thread_pool pool(1);
    const native_cpu cpu(pool);
    auto logits = random<2>({2, 40}, 1);
    const token targets[] = {no_token, 3};
    tensor<float, 1> losses({2});
    cpu.cross_entropy(logits, targets, losses);
    BOOST_TEST(losses(0) == 0.0f);
    BOOST_TEST(losses(1) > 0.0f);
    cpu.cross_entropy_backward(logits, targets, 1.0);
    for (const float g : logits.get().row(0)) BOOST_TEST(g == 0.0f);
}

BOOST_AUTO_TEST_CASE(head_loss_is_the_product_and_the_loss) {
    thread_pool pool(2), three(3);
    const native_cpu cpu(pool);
    const kernels::reference<double> reference;
    const std::size_t m = kernels::head_chunk + 70, dim = 40, vocab = 99;
    const auto hidden = random<2>({m, dim}, 1), head = random<2>({vocab, dim}, 2, 0.3),
               start = random<2>({vocab, dim}, 3);
    std::vector<token> targets(m), kept;
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < m; ++i) {
        targets[i] = i % 9 == 4 ? no_token : static_cast<token>(i * 31 % vocab);
        if (targets[i] >= 0) kept.push_back(targets[i]), rows.push_back(i);
    }
    tensor<float, 1> losses({m}), forward_only({m}), again({m});
    tensor<float> dhidden = random<2>({m, dim}, 4), dhead = start.clone(), dhidden3({m, dim}), dhead3 = start.clone();
    cpu.head_loss(hidden, weight(head), targets, forward_only);
    cpu.head_loss_backward(hidden, weight(head), targets, 0.125, losses, dhidden, dhead);
    native_cpu(three).head_loss_backward(hidden, weight(head), targets, 0.125, again, dhidden3, dhead3);
    BOOST_TEST(same_bits(losses, forward_only));
    BOOST_TEST((same_bits(losses, again) && same_bits(dhidden, dhidden3) && same_bits(dhead, dhead3)));

    tensor<double> x({rows.size(), dim}), z({rows.size(), vocab}), dx({rows.size(), dim}), dw = in_double(start);
    for (std::size_t i = 0; i < rows.size(); ++i)
        for (std::size_t j = 0; j < dim; ++j) x(i, j) = static_cast<double>(hidden(rows[i], j));
    const auto headd = in_double(head);
    tensor<double, 1> expected({rows.size()});
    reference.matmul(x, headd.get(), z);
    reference.cross_entropy(z, kept, expected);
    reference.cross_entropy_backward(z, kept, 0.125);
    reference.matmul_backward_input(z, headd.get(), dx, false);
    reference.matmul_backward_weight(z, x, dw);
    BOOST_TEST(largest_error(dhead, dw) < 64 * epsilon * largest_magnitude(dw));
    double loss_error = 0, dx_error = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        loss_error = std::max(loss_error, std::abs(static_cast<double>(losses(rows[i])) - expected(i)));
        for (std::size_t j = 0; j < dim; ++j)
            dx_error = std::max(dx_error, std::abs(static_cast<double>(dhidden(rows[i], j)) - dx(i, j)));
    }
    BOOST_TEST(loss_error < 64 * epsilon * largest_magnitude(expected));
    BOOST_TEST(dx_error < 64 * epsilon * (largest_magnitude(dx) + 1.0));
    for (std::size_t i = 0; i < m; ++i)
        if (targets[i] < 0) {
            BOOST_TEST(losses(i) == 0.0f);
            for (const float g : dhidden.get().row(i)) BOOST_TEST(g == 0.0f);
        }
}

BOOST_AUTO_TEST_SUITE_END()
