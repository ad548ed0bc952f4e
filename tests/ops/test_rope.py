from llmcore.ops.rope.cases import SPEC
from tests.support.check_op import OpChecks


class TestRope(OpChecks):
    spec = SPEC
