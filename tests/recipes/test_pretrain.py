"""The sizes that the recipes' docstrings claim."""

import pytest

from llmcore.recipes import pretrain


@pytest.mark.parametrize(
    ("recipe", "million_params", "million_tokens"),
    [(pretrain.tiny, 1.4, 5), (pretrain.small, 34, 600)],
)
def test_docstring_sizes_hold_within_ten_percent(recipe, million_params, million_tokens):
    built = recipe()
    assert built.num_params() / 1e6 == pytest.approx(million_params, rel=0.1)
    assert built.num_tokens() / 1e6 == pytest.approx(million_tokens, rel=0.1)
    assert f"{million_params} million parameters on {million_tokens} million" in recipe.__doc__
