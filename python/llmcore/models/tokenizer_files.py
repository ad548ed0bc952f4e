"""What a model directory says about its tokenizer, for readers of the Hugging Face layout."""

from typing import Any

from llmcore.data import CHATML_TEMPLATE
from llmcore.tokenizers import END_OF_TEXT, IM_END, IM_START, Tokenizer


def special_ids(tokenizer: Tokenizer, *, chat: bool) -> dict[str, Any]:
    """Begin, end and padding ids for config.json; a chat also ends with its turn.

    Tokens that the tokenizer lacks are left out.
    """
    end_of_text = tokenizer.token_to_id(END_OF_TEXT)
    im_end = tokenizer.token_to_id(IM_END) if chat else None
    ends = [token_id for token_id in (im_end, end_of_text) if token_id is not None]
    ids: dict[str, Any] = {}
    if end_of_text is not None:
        ids["bos_token_id"] = ids["pad_token_id"] = end_of_text
    ids["eos_token_id"] = ends[0] if len(ends) == 1 else ends or None
    return ids


def tokenizer_fields(tokenizer: Tokenizer, *, max_seq_len: int, chat: bool) -> dict[str, Any]:
    """tokenizer_config.json for transformers' `AutoTokenizer`."""
    fields: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_seq_len,
    }
    if tokenizer.token_to_id(END_OF_TEXT) is not None:
        fields["bos_token"] = fields["pad_token"] = fields["eos_token"] = END_OF_TEXT
    if chat:
        fields["eos_token"] = IM_END
        fields["additional_special_tokens"] = [IM_START, IM_END]
        fields["chat_template"] = CHATML_TEMPLATE
    return fields
