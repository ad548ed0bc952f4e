from llmcore.ops.swiglu.cases import SPEC
from tests.support.check_op import OpChecks


class TestSwiglu(OpChecks):
    spec = SPEC
