"""attention_packed runs on the registered op of attention: its shapes and gradient are there."""

from llmcore.ops.attention.register import attention_no_grad_native, attention_with_gradient

__all__ = ["attention_no_grad_native", "attention_with_gradient"]
