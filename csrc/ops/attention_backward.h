// The gradient of attention is declared with its forward.
#pragma once

#include "ops/attention.h"
