from llmcore.ops.attention.cases import SPEC
from tests.support.check_op import OpChecks


class TestAttention(OpChecks):
    spec = SPEC
