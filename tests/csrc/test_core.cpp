// TensorMatcher's bindings and messages; the choice of the instruction set; advice on huge pages.
#include <stdexcept>
#include <string>
#include <vector>

#include "core/cpu_isa.h"
#include "core/huge_pages.h"
#include "core/tensor_matcher.h"
#include "expect.h"

namespace {

template <class F>
std::string message_of(const F& function) {
  try {
    function();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

llmcore::TensorView view(const int64_t* sizes, int64_t rank) {
  return {nullptr, sizes, nullptr, rank, llmcore::DType::kFloat32};
}

void test_matcher() {
  const int64_t x[] = {2, 3, 8}, weight[] = {8}, wrong[] = {7};
  llmcore::TensorMatcher match("op");
  match("x", view(x, 3), {"...", "C"})("weight", view(weight, 1), {"C"});
  EXPECT(match.axis("...") == 6);
  EXPECT(match.axis("C") == 8);
  EXPECT(message_of([&] { match("weight", view(wrong, 1), {"C"}); }) ==
         "op: weight must be (C,) = (8,), got (7,)");
  EXPECT(message_of([&] { match("weight", view(x, 3), {"C"}); }) ==
         "op: weight must be (C,) = (8,), got (2, 3, 8)");
  EXPECT(message_of([&] {
           match.same_dtype("w", llmcore::DType::kInt64, llmcore::DType::kBFloat16);
         }) == "op: w must be bfloat16, got int64");
}

void test_isa() {
  EXPECT(llmcore::select_cpu_isa("baseline") == llmcore::CpuIsa::kBaseline);
  EXPECT(llmcore::select_cpu_isa("") == llmcore::supported_cpu_isas().back());
  const std::string message = message_of([] { llmcore::select_cpu_isa("sse9"); });
  EXPECT(message.find("LLMCORE_CPU_ISA must be one of baseline") == 0);
  EXPECT(message.find("got sse9") != std::string::npos);
}

// Advice changes no byte, at any size and start, nor of memory that already has pages.
void test_huge_pages() {
  for (size_t bytes : {size_t{0}, size_t{5}, (size_t{4} << 20) + 3, size_t{9} << 20}) {
    std::vector<unsigned char> memory(bytes + 3, 0xA5);
    llmcore::advise_huge_pages(memory.data() + 3, static_cast<int64_t>(bytes));
    size_t kept = 0;
    for (unsigned char byte : memory) kept += byte == 0xA5;
    EXPECT(kept == memory.size());
  }
}

}  // namespace

int main() {
  test_matcher();
  test_huge_pages();
  test_isa();
  return llmcore::test::num_failed;
}
