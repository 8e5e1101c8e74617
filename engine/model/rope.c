/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotary frequencies: see rope.h. Each step is rounded to fp32 because the reference does: at
 * position 9,000 a frequency that is off by one bit turns a head by half a milliradian.
 */
#include "engine/model/rope.h"

#include <math.h>
#include <stddef.h>

#define TWO_PI 6.283185307179586

/* Llama 3.1: waves longer than the original context are slowed by `factor`, short ones stay, those
 * between are blended. */
static float scale_llama3(float frequency, const struct model_rope *rope)
{
    float original = (float)rope->original_context;
    float low = (float)rope->low_frequency_factor;
    float high = (float)rope->high_frequency_factor;
    float wave = (float)TWO_PI / frequency;
    float slowed = frequency / (float)rope->factor;
    float smooth;

    if (wave < original / high)
        return frequency;
    if (wave > original / low)
        return slowed;
    smooth = (original / wave - low) / (high - low);
    return (1 - smooth) * frequency / (float)rope->factor + smooth * frequency;
}

void rope_frequencies(float *frequencies, int head_dim, const struct model_rope *rope,
                      const float *divisors)
{
    for (int i = 0; i < head_dim / 2; i++) {
        float exponent = (float)(2 * i) / (float)head_dim;
        float frequency = 1 / (float)pow(rope->theta, (double)exponent);

        if (rope->llama3)
            frequency = scale_llama3(frequency, rope);
        if (divisors != NULL)
            frequency /= divisors[i];
        frequencies[i] = frequency;
    }
}
