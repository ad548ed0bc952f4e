#include "bindings/tokenizer.h"

NB_MODULE(_bindings, m) {
  m.doc() = "Compiled parts of llmcore that handle no tensors.";
  llmcore::bindings::bind_tokenizer(m);
  llmcore::bindings::bind_normalizer(m);
  llmcore::bindings::bind_splitter(m);
  llmcore::bindings::bind_models(m);
  llmcore::bindings::bind_formats(m);
  llmcore::bindings::bind_training(m);
  llmcore::bindings::bind_trainers(m);
  llmcore::bindings::bind_decoding(m);
  llmcore::bindings::bind_pipeline(m);
}
