from llmcore.ops.sampling.cases import SPEC
from tests.support.check_op import OpChecks


class TestSampling(OpChecks):
    spec = SPEC
