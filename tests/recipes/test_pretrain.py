"""What the pre-training recipes claim about themselves."""

import pytest

from llmcore.recipes import pretrain, quickstart


def test_small_has_the_size_that_its_docstring_claims():
    built = pretrain.small()
    assert built.num_params() / 1e6 == pytest.approx(34, rel=0.05)
    assert built.num_tokens() / 1e6 == pytest.approx(600, rel=0.05)
    assert "34 million parameters on 600 million tokens" in (pretrain.small.__doc__ or "")


def test_tiny_is_the_quickstarts_own_stage():
    built, whole = pretrain.tiny(), quickstart()
    assert (built.model, built.train, built.optim) == (
        whole.model,
        whole.pretrain.train,
        whole.pretrain.optim,
    )
