#include "bindings/tokenizer.h"

NB_MODULE(_bindings, m) {
  m.doc() = "Compiled parts of llmcore that handle no tensors.";
  llmcore::bindings::bind_tokenizer(m);
}
