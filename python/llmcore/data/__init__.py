"""Documents, conversations and preferences as batches of token tensors."""

from llmcore.data.chat import (
    CHATML_TEMPLATE,
    ChatTokens,
    Message,
    RenderedChat,
    encode_chat,
    render_chat,
)
from llmcore.data.conversations import (
    PreferencePair,
    read_conversations,
    read_preferences,
    write_conversations,
    write_preferences,
)
from llmcore.data.documents import Document, read_documents, split_documents
from llmcore.data.packing import PADDING_SEGMENT, PackedBatch, concatenate_rows
from llmcore.data.preferences import StylePair, style_pairs
from llmcore.data.pretrain_stream import PretrainStream, TokenizedDocuments
from llmcore.data.python_corpus import python_documents
from llmcore.data.sft_packing import (
    Example,
    ExampleCounts,
    best_fit_decreasing,
    chat_example,
    fit_examples,
    packed_batch,
)
from llmcore.data.sft_stream import SFTStream, epoch_order

__all__ = [
    "CHATML_TEMPLATE",
    "PADDING_SEGMENT",
    "ChatTokens",
    "Document",
    "Example",
    "ExampleCounts",
    "Message",
    "PackedBatch",
    "PreferencePair",
    "PretrainStream",
    "RenderedChat",
    "SFTStream",
    "StylePair",
    "TokenizedDocuments",
    "best_fit_decreasing",
    "chat_example",
    "concatenate_rows",
    "encode_chat",
    "epoch_order",
    "fit_examples",
    "packed_batch",
    "python_documents",
    "read_conversations",
    "read_documents",
    "read_preferences",
    "render_chat",
    "split_documents",
    "style_pairs",
    "write_conversations",
    "write_preferences",
]
