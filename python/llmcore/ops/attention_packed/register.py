"""attention_packed runs on the registered op of attention: its shapes and gradient are there."""

from llmcore.ops.attention.register import attention_native, attention_no_grad_native

__all__ = ["attention_native", "attention_no_grad_native"]
