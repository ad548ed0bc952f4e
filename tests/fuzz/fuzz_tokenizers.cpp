// Coverage-guided fuzzing of csrc/tokenizer:
//   fuzz_tokenizers [--seconds 60] [--seed 0] [--target NAME]... [--corpus DIR] [--out DIR]
//   fuzz_tokenizers --replay FILE [--target NAME]       FILE is named TARGET.HASH by --out
// Targets take turns. Each draws from a generator of its own, so that a seed gives the same inputs
// however long the turns are. Exits with 1 on a finding, whose input is then in --out.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <set>

#include "coverage.h"
#include "mutator.h"
#include "target.h"
#include "tokenizer/errors.h"
#include "tokenizer/text/utf8.h"

extern "C" {
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());
// An allocation of more than this is a finding at once; freed blocks are kept back for a while.
const char* __asan_default_options() {
  return "max_allocation_size_mb=1024:quarantine_size_mb=64:handle_abort=1";
}
}

namespace llmcore::fuzz {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kAlarmSeconds = 30;   // one execution
constexpr int kTurn = 32;                // executions
constexpr std::size_t kMaxFindings = 5;  // of one target

struct Options {
  double seconds = 60;
  std::uint64_t seed = 0;
  std::vector<std::string> targets;
  std::string replay, corpus, out = ".";
};

// The execution in progress, for the handlers of crashes.
struct Current {
  const Target* target = nullptr;
  std::string_view input;
  std::string out;
} current;

std::string finding_path(const Target& target, std::string_view input) {
  std::uint64_t hash = 0xCBF29CE484222325ull;
  for (const char c : input) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001B3ull;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return current.out + "/" + target.name + "." + digits;
}

void report(const Target& target, std::string_view input, const std::string& what) {
  const std::string path = finding_path(target, input);
  std::ofstream(path, std::ios::binary) << input;
  std::printf("FINDING %s: %s\n  input of %zu bytes: %s\n", target.name.c_str(), what.c_str(),
              input.size(), path.c_str());
  std::fflush(stdout);
}

void on_death() {
  if (current.target == nullptr) return;
  const Target* target = current.target;
  current.target = nullptr;
  report(*target, current.input, "crash");
}
void on_alarm(int) {
  if (current.target != nullptr) {
    report(*current.target, current.input, "ran past " + std::to_string(kAlarmSeconds) + " s");
  }
  _exit(1);
}
void on_terminate() {
  on_death();
  std::abort();
}

// What is wrong with the execution; nothing if it is fine.
std::optional<std::string> execute(const Target& target, std::string_view input) {
  // A copy of exact size, so that a read past its end is seen.
  const std::unique_ptr<char[]> copy(new char[input.size()]);
  std::copy(input.begin(), input.end(), copy.get());
  std::optional<std::string> wrong;
  current.target = &target;
  current.input = input;
  alarm(kAlarmSeconds);
  coverage().start();
  try {
    target.run({copy.get(), input.size()});
  } catch (const tokenizer::DataError& error) {
    const std::string_view message = error.what();
    const bool is_line = message.find('\n') == std::string_view::npos;
    if (!is_line || tokenizer::valid_utf8_length(message) != message.size()) {
      wrong = "a message that is not a line of UTF-8: " + std::string(message);
    }
  } catch (const tokenizer::ConfigError&) {
  } catch (const std::exception& error) {
    wrong = error.what();
  }
  coverage().stop();
  alarm(0);
  current.target = nullptr;
  const Bounds& bounds = target.bounds;
  const std::uint64_t most_steps = bounds.steps + bounds.steps_per_byte * input.size();
  const std::size_t most_bytes = bounds.bytes + bounds.bytes_per_byte * input.size();
  if (!wrong && coverage().steps() > most_steps) {
    wrong =
        std::to_string(coverage().steps()) + " steps, the bound is " + std::to_string(most_steps);
  }
  if (!wrong && coverage().peak_bytes() > most_bytes) {
    wrong = std::to_string(coverage().peak_bytes()) + " bytes held, the bound is " +
            std::to_string(most_bytes);
  }
  return wrong;
}

// One target with the inputs that each found something new.
class Hunt {
 public:
  Hunt(const Target& target, const Options& options)
      : target_(target),
        random_(options.seed ^ std::hash<std::string>{}(target.name)),
        mutator_(target.dictionary, target.max_size) {
    pending_ = target.seeds();
    if (options.corpus.empty()) return;
    directory_ = options.corpus + "/" + target.name;
    std::filesystem::create_directories(directory_);
    std::set<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      paths.insert(entry.path());
    }
    for (const auto& path : paths) {
      std::ifstream file(path, std::ios::binary);
      pending_.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }

  void turn() {
    const auto start = Clock::now();
    for (int i = 0; i < kTurn && findings_.size() < kMaxFindings; ++i) {
      if (Clock::now() - start > std::chrono::seconds(1)) break;
      const bool is_seed = !pending_.empty();
      std::string input = next_input();
      const std::optional<std::string> wrong = execute(target_, input);
      ++num_executions_;
      most_steps_ = std::max(most_steps_, coverage().steps());
      most_bytes_ = std::max(most_bytes_, coverage().peak_bytes());
      const std::size_t before = coverage().num_edges();
      const bool is_new = coverage().merge() > 0;
      num_edges_ += coverage().num_edges() - before;
      if (wrong) {
        // One report for each message, numbers apart.
        std::string kind = wrong->substr(0, 60);
        std::erase_if(kind, [](char c) { return c >= '0' && c <= '9'; });
        if (findings_.insert(kind).second) report(target_, input, *wrong);
      } else if (is_new || is_seed) {
        keep(std::move(input));
      }
    }
  }

  void print() const {
    std::printf(
        "%-18s %9llu executions %7zu edges %6zu inputs %11llu steps %5zu MiB %2zu findings\n",
        target_.name.c_str(), static_cast<unsigned long long>(num_executions_), num_edges_,
        corpus_.size(), static_cast<unsigned long long>(most_steps_), most_bytes_ >> 20,
        findings_.size());
  }
  std::uint64_t num_executions() const { return num_executions_; }
  std::size_t num_findings() const { return findings_.size(); }

 private:
  std::string next_input() {
    if (!pending_.empty()) {
      std::string input = std::move(pending_.front());
      pending_.erase(pending_.begin());
      return input;
    }
    if (corpus_.empty()) return {};
    // Half of the time one of the latest finds; of two the shorter, which runs faster.
    const std::size_t size = corpus_.size();
    const std::size_t recent = std::min<std::size_t>(size, 16);
    const auto pick = [&]() -> const std::string& {
      const bool is_late = random_.below(2) == 0;
      return corpus_[is_late ? size - 1 - random_.below(recent) : random_.below(size)];
    };
    const std::string &one = pick(), &two = pick(), &other = pick();
    return mutator_.mutate(one.size() < two.size() ? one : two, other, random_);
  }

  void keep(std::string input) {
    if (!directory_.empty()) {
      const std::string name = std::filesystem::path(finding_path(target_, input)).filename();
      std::ofstream(directory_ + "/" + name, std::ios::binary) << input;
    }
    corpus_.push_back(std::move(input));
  }

  const Target& target_;
  Random random_;
  Mutator mutator_;
  std::string directory_;
  std::vector<std::string> pending_, corpus_;
  std::set<std::string> findings_;
  std::uint64_t num_executions_ = 0, most_steps_ = 0;
  std::size_t num_edges_ = 0, most_bytes_ = 0;
};

int replay(const Options& options) {
  std::ifstream file(options.replay, std::ios::binary);
  if (!file) throw std::invalid_argument("--replay: cannot read " + options.replay);
  const std::string input{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::string base = std::filesystem::path(options.replay).filename();
  const Target& target = target_named(options.targets.empty() ? base.substr(0, base.rfind('.'))
                                                              : options.targets.front());
  const std::optional<std::string> wrong = execute(target, input);
  std::printf("%s: %llu steps, %zu bytes held: %s\n", target.name.c_str(),
              static_cast<unsigned long long>(coverage().steps()), coverage().peak_bytes(),
              wrong ? wrong->c_str() : "fine");
  return wrong ? 1 : 0;
}

int hunt(const Options& options) {
  std::vector<Hunt> hunts;
  for (const Target& target : targets()) {
    const auto& names = options.targets;
    if (!names.empty() && std::ranges::find(names, target.name) == names.end()) continue;
    hunts.emplace_back(target, options);
  }
  const auto end = Clock::now() + std::chrono::duration<double>(options.seconds);
  for (bool is_over = false; !is_over;) {
    for (Hunt& one : hunts) {
      one.turn();
      is_over = Clock::now() >= end;
      if (is_over) break;
    }
  }
  std::uint64_t num_executions = 0;
  std::size_t num_findings = 0;
  for (const Hunt& one : hunts) {
    one.print();
    num_executions += one.num_executions();
    num_findings += one.num_findings();
  }
  std::printf("seed %llu: %llu executions, %zu edges, %zu findings\n",
              static_cast<unsigned long long>(options.seed),
              static_cast<unsigned long long>(num_executions), coverage().num_edges(),
              num_findings);
  return num_findings == 0 ? 0 : 1;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 >= argc) throw std::invalid_argument(std::string(name) + ": needs a value");
    const std::string value = argv[i + 1];
    if (name == "--seconds") {
      options.seconds = std::stod(value);
    } else if (name == "--seed") {
      options.seed = std::stoull(value);
    } else if (name == "--target") {
      options.targets.push_back(target_named(value).name);
    } else if (name == "--replay") {
      options.replay = value;
    } else if (name == "--corpus") {
      options.corpus = value;
    } else if (name == "--out") {
      options.out = value;
    } else {
      throw std::invalid_argument("no option " + std::string(name));
    }
  }
  return options;
}

int run(int argc, char** argv) {
  const Options options = parse(argc, argv);
  current.out = options.out;
  std::filesystem::create_directories(options.out);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(on_death);
  std::set_terminate(on_terminate);
  std::signal(SIGALRM, on_alarm);
  return options.replay.empty() ? hunt(options) : replay(options);
}

}  // namespace
}  // namespace llmcore::fuzz

int main(int argc, char** argv) {
  try {
    return llmcore::fuzz::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuzz_tokenizers: error: %s\n", error.what());
    return 2;
  }
}
