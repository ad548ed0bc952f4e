#include "harness.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <fstream>
#include <map>
#include <new>
#include <stdexcept>
#include <thread>

#include "cpu/kernel_table.h"
#include "cpu/tuning.h"
#include "google_runner.h"
#include "machine_limits.h"
#include "thread_pool.h"

namespace llmcore::bench {

namespace {

constexpr std::align_val_t kAlign{64};
constexpr double kShortestSample = 2e-4;  // seconds: a thread's CPU clock takes 0.3 us to read
constexpr int kMinRounds = 3;
// Before anything is timed: a scheduler may start all threads on one core and part them after some
// tenths of a second (seen here: 82 of 236 GFLOP/s for the first 0.5 s).
constexpr double kWarmUp = 1.0;
constexpr double kBurst = 1e-3;  // seconds of multiply-adds per round

std::unique_ptr<ThreadPool> pool;

double read_clock(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double wall_clock() {
  return read_clock(CLOCK_MONOTONIC);
}

double now() {
  return read_clock(num_threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Something timed in turn with others: a case, or a limit over as much work.
struct Timed {
  std::function<void()> call{};
  bool warms = false;  // an untimed call goes before the sample
  int repeats = 1;
  std::vector<double> seconds{};

  double sample() const {
    if (warms) call();
    const double start = now();
    for (int repeat = 0; repeat < repeats; ++repeat) call();
    return (now() - start) / repeats;
  }
  void prepare() {
    call();  // first touch of code and data
    const double once = sample();
    repeats = static_cast<int>(std::clamp(std::ceil(kShortestSample / (once + 1e-9)), 1.0, 1e5));
    warms = warms && repeats == 1;
  }
};

// Sources and targets of the limits, as large as the largest case so far.
struct Arena {
  std::unique_ptr<Buffer> from, to;
  void reserve(int64_t size) {
    if (from && from->size() >= size) return;
    from.reset(), to.reset();
    from = std::make_unique<Buffer>(size), to = std::make_unique<Buffer>(size);
  }
};
Arena arena;
double peak_flops[2];  // of one thread, by multiply-add and by bfloat16 dot: for the burst's size

bool is_memory(Limit limit) {
  return limit == Limit::kCopy || limit == Limit::kRead;
}

bool dots(Limit limit) {
  return limit == Limit::kDotBf16 && has_dot_bf16() && peak_flops[1] > peak_flops[0];
}

int64_t whole_lines(double bytes) {
  return std::max<int64_t>(1, static_cast<int64_t>(bytes) / 4096) * 4096;
}

// The limit's own amount of work: bytes moved, or operations of all threads in a burst.
double work_of(Limit limit, double bytes) {
  if (limit == Limit::kCopy) return 2.0 * static_cast<double>(whole_lines(bytes / 2));
  if (limit == Limit::kRead) return static_cast<double>(whole_lines(bytes));
  return kBurst * peak_flops[dots(limit)] * num_threads();
}

Timed timed_limit(Limit limit, double work) {
  Timed timed;
  timed.warms = is_memory(limit) && work < static_cast<double>(cpu::last_level_cache_bytes());
  const auto size = static_cast<int64_t>(limit == Limit::kCopy ? work / 2 : work);
  if (is_memory(limit)) arena.reserve(size);
  if (limit == Limit::kCopy) {
    timed.call = [size] { copy_bytes(*arena.from, *arena.to, size); };
  } else if (limit == Limit::kRead) {
    timed.call = [size] { read_bytes(*arena.from, size); };
  } else if (dots(limit)) {
    timed.call = [work] { dot_bf16(work / num_threads()); };
  } else {
    timed.call = [work] { multiply_add(work / num_threads()); };
  }
  return timed;
}

void take_turns(const std::vector<Timed*>& everyone, const Options& options) {
  for (Timed* timed : everyone) timed->prepare();
  const double begin = wall_clock();
  for (int round = 0; round < options.rounds; ++round) {
    if (round >= kMinRounds && wall_clock() - begin > options.seconds) break;
    for (Timed* timed : everyone) timed->seconds.push_back(timed->sample());
  }
}

std::string text_of(const Case& one) {
  return one.op + " " + one.pass + " " + one.dtype + " " + one.shape;
}

void print_header() {
  std::printf("%-24s %-12s %-9s %-22s %9s %9s %8s %8s %7s\n", "op", "pass", "dtype", "shape", "ms",
              "best ms", "GB/s", "GFLOP/s", "limit");
}

void print_row(const Row& row) {
  const auto number = [](double value) {
    char text[16] = "-";
    if (value > 0) std::snprintf(text, sizeof(text), value < 10 ? "%.3g" : "%.1f", value);
    return std::string(text);
  };
  std::printf("%-24s %-12s %-9s %-22s %9.4f %9.4f %8s %8s %7s %% of %s\n", row.op.c_str(),
              row.pass.c_str(), row.dtype.c_str(), row.shape.c_str(), row.ms, row.best_ms,
              number(row.gb_per_s).c_str(), number(row.gflop_per_s).c_str(),
              number(row.percent_of_limit).c_str(), row.limit.c_str());
  std::fflush(stdout);
}

// --- the limits, alone and before anything else
// ---------------------------------------------------

struct MeasuredLimit {
  int threads;
  Limit limit;
  double giga_per_s, best_giga_per_s;
};
std::vector<MeasuredLimit> measured_limits;

void warm_up() {
  const double begin = wall_clock();
  while (wall_clock() - begin < kWarmUp) multiply_add(1e8);
}

void find_peaks() {
  for (int kind = 0; kind < (has_dot_bf16() ? 2 : 1); ++kind) {
    Timed timed;
    constexpr double kWork = 1e7;
    timed.call = [kind] { kind == 0 ? multiply_add(kWork) : dot_bf16(kWork); };
    timed.prepare();
    double best = timed.sample();
    for (int round = 0; round < 5; ++round) best = std::min(best, timed.sample());
    peak_flops[kind] = kWork / best;
  }
}

void measure_limits(const Options& options) {
  warm_up();
  find_peaks();
  constexpr double kBytes = 128 << 20;
  std::vector<Limit> limits{Limit::kFma, Limit::kRead, Limit::kCopy};
  if (has_dot_bf16()) limits.insert(limits.begin() + 1, Limit::kDotBf16);
  std::printf("limits, %d thread%s:", num_threads(), num_threads() == 1 ? "" : "s");
  for (const Limit limit : limits) {
    const double work = work_of(limit, kBytes);
    Timed timed = timed_limit(limit, work);
    take_turns({&timed}, options);
    const double rate = work / median(timed.seconds) / 1e9;
    const double least = *std::min_element(timed.seconds.begin(), timed.seconds.end());
    measured_limits.push_back({num_threads(), limit, rate, work / least / 1e9});
    std::printf("  %s %.1f %s", limit_name(limit), rate, is_memory(limit) ? "GB/s" : "GFLOP/s");
  }
  std::printf("\n");
}

// --- JSON and options
// -----------------------------------------------------------------------------

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

void write_json(const std::string& path, const std::vector<Row>& rows) {
  std::ofstream out(path);
  if (!out) throw std::runtime_error("--json must be a writable path, got " + path);
  out << "{\"facts\": {\"machine\": " << quoted(cpu_model())
      << ", \"cpu_isa\": " << quoted(cpu::isa_in_use())
      << ", \"cores\": " << std::thread::hardware_concurrency()
      << ", \"compiler\": " << quoted(__VERSION__) << "},\n \"limits\": [";
  const char* comma = "";
  for (const MeasuredLimit& one : measured_limits) {
    out << comma << "\n  {\"threads\": " << one.threads
        << ", \"limit\": " << quoted(limit_name(one.limit))
        << ", \"giga_per_s\": " << one.giga_per_s
        << ", \"best_giga_per_s\": " << one.best_giga_per_s << "}";
    comma = ",";
  }
  out << "],\n \"rows\": [";
  comma = "";
  for (const Row& row : rows) {
    out << comma << "\n  {\"op\": " << quoted(row.op) << ", \"pass\": " << quoted(row.pass)
        << ", \"dtype\": " << quoted(row.dtype) << ", \"shape\": " << quoted(row.shape)
        << ", \"threads\": " << row.threads << ", \"rounds\": " << row.rounds
        << ", \"ms\": " << row.ms << ", \"best_ms\": " << row.best_ms
        << ", \"num_bytes\": " << row.bytes << ", \"num_flops\": " << row.flops
        << ", \"gb_per_s\": " << row.gb_per_s << ", \"gflop_per_s\": " << row.gflop_per_s
        << ", \"limit\": " << quoted(row.limit)
        << ", \"percent_of_limit\": " << row.percent_of_limit << "}";
    comma = ",";
  }
  out << "]}\n";
}

double positive(const std::string& name, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value > 0) || value > 1e6) {
    throw std::runtime_error(name + " must be a positive number, got " + text);
  }
  return value;
}

std::vector<int> thread_counts(const std::string& text) {
  std::vector<int> counts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    counts.push_back(static_cast<int>(positive("--threads", text.substr(begin, end - begin))));
    if (counts.back() < 1) throw std::runtime_error("--threads must be at least 1, got " + text);
    begin = end + 1;
  }
  return counts;
}

Options parse(int argc, char** argv) {
  Options options;
  options.threads = {static_cast<int>(std::max(1u, std::thread::hardware_concurrency()))};
  const std::map<std::string, std::function<void(const std::string&)>> readers{
      {"--threads", [&](const std::string& text) { options.threads = thread_counts(text); }},
      {"--rounds",
       [&](const std::string& text) {
         options.rounds = std::max(1, static_cast<int>(positive("--rounds", text)));
       }},
      {"--seconds",
       [&](const std::string& text) { options.seconds = positive("--seconds", text); }},
      {"--filter", [&](const std::string& text) { options.filter = text; }},
      {"--json", [&](const std::string& text) { options.json = text; }},
      {"--file", [&](const std::string& text) { options.file = text; }},
  };
  for (int at = 1; at < argc; ++at) {
    const std::string name = argv[at];
    if (name == "--google") {
      if (!has_google_runner())
        throw std::runtime_error("--google: built without Google Benchmark");
      options.google = true;
      continue;
    }
    const auto reader = readers.find(name);
    if (reader == readers.end()) {
      throw std::runtime_error(
          "options are --threads --rounds --seconds --filter --json --file --google, got " + name);
    }
    if (++at == argc) throw std::runtime_error(name + " needs a value");
    reader->second(argv[at]);
  }
  return options;
}

}  // namespace

Buffer::Buffer(int64_t num_bytes)
    : size_(num_bytes),
      data_(static_cast<char*>(::operator new(static_cast<size_t>(num_bytes), kAlign))) {
  std::memset(data_.get(), 0x3F, static_cast<size_t>(num_bytes));
}

void Buffer::Free::operator()(char* data) const {
  ::operator delete(data, kAlign);
}

Buffer normal(int64_t count, DType dtype, uint64_t seed, float scale) {
  Buffer buffer(count * element_size(dtype));
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  for (int64_t i = 0; i < count; ++i) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    float sum = -2.0f;  // four uniform numbers less their mean, of variance 1/3
    for (int part = 0; part < 64; part += 16) {
      sum += static_cast<float>((state >> part) & 0xFFFFu) * 0x1p-16f;
    }
    const float value = sum * 1.7320508f * scale;
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (dtype == DType::kFloat32) {
      buffer.as<float>()[i] = value;
    } else if (dtype == DType::kBFloat16) {
      buffer.as<uint16_t>()[i] = static_cast<uint16_t>(bits >> 16);
    } else if (dtype == DType::kFloat16) {  // truncated; below the smallest normal it is zero
      const uint32_t exponent = (bits >> 23) & 0xFFu;
      const uint32_t shifted = exponent > 112 ? ((bits & 0x7FFFFFFFu) >> 13) - (112u << 10) : 0;
      buffer.as<uint16_t>()[i] = static_cast<uint16_t>((bits >> 16 & 0x8000u) | shifted);
    } else {
      throw std::runtime_error("normal: dtype must be a float");
    }
  }
  return buffer;
}

ParallelFor threads() {
  return {[](int64_t begin, int64_t end, int64_t grain, ParallelFor::Body body, void* context) {
    pool->run(begin, end, grain, body, context);
  }};
}

int num_threads() {
  return pool->num_threads();
}

bool Bench::wants(const std::string& text) const {
  return text.find(options_.filter) != std::string::npos;
}

void Bench::measure(const std::vector<Case>& cases) {
  std::vector<const Case*> wanted;
  for (const Case& one : cases) {
    if (wants(text_of(one))) wanted.push_back(&one);
  }
  if (options_.google) {
    for (const Case* one : wanted) run_with_google(text_of(*one), *one);
    return;
  }
  // One limit serves the cases that name it with as much work.
  std::map<std::pair<Limit, double>, Timed> limits;
  std::vector<Timed> calls;
  for (const Case* one : wanted) {
    const double work = work_of(one->limit, one->bytes);
    limits.emplace(std::pair{one->limit, work}, timed_limit(one->limit, work));
    calls.push_back({one->run, one->bytes < static_cast<double>(cpu::last_level_cache_bytes())});
  }
  std::vector<Timed*> everyone;
  for (auto& [key, timed] : limits) everyone.push_back(&timed);
  for (Timed& timed : calls) everyone.push_back(&timed);
  take_turns(everyone, options_);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const Case& one = *wanted[i];
    const double work = work_of(one.limit, one.bytes);
    const double rate = work / median(limits.at({one.limit, work}).seconds);
    const double seconds = median(calls[i].seconds);
    const double needed = (is_memory(one.limit) ? one.bytes : one.flops) / rate;
    const auto& all = calls[i].seconds;
    rows_.push_back({.op = one.op,
                     .pass = one.pass,
                     .dtype = one.dtype,
                     .shape = one.shape,
                     .threads = num_threads(),
                     .rounds = static_cast<int>(all.size()),
                     .ms = 1e3 * seconds,
                     .best_ms = 1e3 * *std::min_element(all.begin(), all.end()),
                     .bytes = one.bytes,
                     .flops = one.flops,
                     .gb_per_s = one.bytes / seconds / 1e9,
                     .gflop_per_s = one.flops / seconds / 1e9,
                     .limit = limit_name(one.limit),
                     .percent_of_limit = 100 * needed / seconds});
    print_row(rows_.back());
  }
}

int run(int argc, char** argv, const std::function<void(Bench&)>& groups) {
  try {
    Bench bench(parse(argc, argv));
    std::printf("%s, isa %s\n", cpu_model().c_str(), cpu::isa_in_use());
    for (const int count : bench.options().threads) {
      pool = std::make_unique<ThreadPool>(count);
      measure_limits(bench.options());
      if (!bench.options().google) print_header();
      groups(bench);
    }
    if (!bench.options().json.empty()) write_json(bench.options().json, bench.rows());
    pool.reset();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: error: %s\n", error.what());
    return 2;
  }
}

}  // namespace llmcore::bench
