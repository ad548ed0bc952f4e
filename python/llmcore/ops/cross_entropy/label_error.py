"""The error of a label that is no token."""


def label_error(op: str, error: RuntimeError) -> Exception:
    """IndexError in place of the kernel's RuntimeError where that is about a label."""
    text = str(error).splitlines()[0]
    if "out of bounds" not in text:
        return error
    return IndexError(text.replace("cross_entropy:", f"{op}:"))
