from llmcore.ops.cross_entropy.cases import SPEC
from tests.support.check_op import OpChecks


class TestCrossEntropy(OpChecks):
    spec = SPEC
