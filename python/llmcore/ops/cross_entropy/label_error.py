"""The error of a label that is no token."""


def label_error(op: str, error: RuntimeError) -> Exception:
    """IndexError in place of a RuntimeError, the kernel's or PyTorch's, that is about a label."""
    text = str(error).splitlines()[0]
    if "out of bounds" not in text:
        return error
    if text.startswith(f"{op}: "):
        return IndexError(text)
    return IndexError(f"{op}: labels must be in [0, V) or ignore_index, got another: {text}")
