from llmcore.ops import build_info, op_backends


def test_every_op_names_a_backend_for_cpu_and_cuda() -> None:
    table = op_backends()
    assert table["rms_norm"] == {"cpu": "native", "cuda": "native"}
    assert len(table) >= 7 and all(set(row) == {"cpu", "cuda"} for row in table.values())


def test_facts_of_the_build() -> None:
    facts = build_info()
    assert facts["cpu_isa"] in facts["cpu_isas_supported"]
    assert facts["cpu_isas_supported"][0] == "baseline"
    assert isinstance(facts["cuda_built"], bool) and isinstance(facts["cuda_loaded"], bool)
