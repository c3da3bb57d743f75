// docs/lessons/2-attention.md: one head of causal attention, forward and backward, checked by the complex step.
#include <cmath>
#include <complex>
#include <cstdio>
#include <vector>

#include "lab/core/rng.hpp"

// [forward] One head over a sequence. q, k, v, y: [tokens, size], row-major.
//   p_ij = softmax_j<=i(q_i . k_j / sqrt(size)),  y_i = sum_j p_ij v_j
template <class T>
void attention(const std::vector<T>& q, const std::vector<T>& k, const std::vector<T>& v, std::vector<T>& y,
               std::vector<T>& p, std::size_t tokens, std::size_t size) {
    const double scale = 1 / std::sqrt(static_cast<double>(size));
    for (std::size_t i = 0; i < tokens; ++i) {
        T total{};
        for (std::size_t j = 0; j <= i; ++j) {
            T score{};
            for (std::size_t c = 0; c < size; ++c) score += q[i * size + c] * k[j * size + c];
            p[i * tokens + j] = std::exp(score * scale);
            total += p[i * tokens + j];
        }
        for (std::size_t c = 0; c < size; ++c) y[i * size + c] = T{};
        for (std::size_t j = 0; j <= i; ++j) {
            p[i * tokens + j] /= total;
            for (std::size_t c = 0; c < size; ++c) y[i * size + c] += p[i * tokens + j] * v[j * size + c];
        }
    }
}

// [backward] dv_j += p_ij dy_i;  dp_ij = dy_i . v_j;  ds_ij = p_ij (dp_ij - sum_l p_il dp_il);
//            dq_i += ds_ij k_j / sqrt(size);  dk_j += ds_ij q_i / sqrt(size)
static void attention_backward(const std::vector<double>& dy, const std::vector<double>& q,
                               const std::vector<double>& k, const std::vector<double>& v, const std::vector<double>& p,
                               std::vector<double>& dq, std::vector<double>& dk, std::vector<double>& dv,
                               std::size_t tokens, std::size_t size) {
    const double scale = 1 / std::sqrt(static_cast<double>(size));
    std::vector<double> dp(tokens);
    for (std::size_t i = 0; i < tokens; ++i) {
        double mean = 0;
        for (std::size_t j = 0; j <= i; ++j) {
            dp[j] = 0;
            for (std::size_t c = 0; c < size; ++c) dp[j] += dy[i * size + c] * v[j * size + c];
            mean += p[i * tokens + j] * dp[j];
        }
        for (std::size_t j = 0; j <= i; ++j) {
            const double ds = p[i * tokens + j] * (dp[j] - mean) * scale;
            for (std::size_t c = 0; c < size; ++c) {
                dv[j * size + c] += p[i * tokens + j] * dy[i * size + c];
                dq[i * size + c] += ds * k[j * size + c];
                dk[j * size + c] += ds * q[i * size + c];
            }
        }
    }
}

// [check] f'(x) = Im f(x + ih) / h for analytic f: no difference is taken, so nothing cancels and h can be tiny.
int main() {
    using complex = std::complex<double>;
    constexpr std::size_t tokens = 5, size = 4, n = tokens * size;
    lab::counter_rng rng(1);
    std::vector<double> q(n), k(n), v(n), dy(n), y(n), p(tokens * tokens);
    for (auto* values : {&q, &k, &v, &dy})
        for (double& x : *values) x = rng.normal();

    attention(q, k, v, y, p, tokens, size);
    std::vector<double> dq(n), dk(n), dv(n);
    attention_backward(dy, q, k, v, p, dq, dk, dv, tokens, size);

    // The loss is sum(dy * y), so its gradient by y is dy.
    double worst = 0;
    const double h = 1e-30;
    for (std::size_t which = 0; which < 3; ++which)
        for (std::size_t e = 0; e < n; ++e) {
            std::vector<complex> cq(q.begin(), q.end()), ck(k.begin(), k.end()), cv(v.begin(), v.end()), cy(n),
                cp(tokens * tokens);
            auto& moved = which == 0 ? cq : which == 1 ? ck : cv;
            moved[e] += complex(0, h);
            attention(cq, ck, cv, cy, cp, tokens, size);
            complex loss = 0;
            for (std::size_t i = 0; i < n; ++i) loss += dy[i] * cy[i];
            const double ours = (which == 0 ? dq : which == 1 ? dk : dv)[e];
            worst = std::max(worst, std::abs(ours - loss.imag() / h));
        }
    std::printf("largest difference of %zu derivatives: %.2e\n", 3 * n, worst);
    return worst < 1e-12 ? 0 : 1;
}
