from llmcore.ops.adamw.cases import SPEC
from tests.support.check_op import OpChecks


class TestAdamW(OpChecks):
    spec = SPEC
