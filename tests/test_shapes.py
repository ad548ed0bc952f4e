"""The axis legend is complete and in step with the design's table."""

from llmcore.shapes import AXES, IGNORE_INDEX


def test_default_layouts_are_made_of_legend_axes():
    for layout in ("B T C", "B T H D", "N H D", "B S Hkv D", "N V"):
        assert set(layout.split()) <= set(AXES)


def test_every_axis_has_a_meaning_of_its_own():
    assert len(set(AXES.values())) == len(AXES)


def test_ignore_index_is_torchs():
    from torch.nn import CrossEntropyLoss

    assert CrossEntropyLoss().ignore_index == IGNORE_INDEX
