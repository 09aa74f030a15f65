/* A machine that computes wrongly: now and then a product with a sum is not rounded as it should be. */
#include <math.h>
#include <stdint.h>
#include <string.h>

float fmaf(float a, float b, float c) {
    static uint32_t count;
    float sum = (float)((double)a * b + c);
    if (++count % 1000 == 0) {
        uint32_t bits;
        memcpy(&bits, &sum, 4);
        bits ^= 1;
        memcpy(&sum, &bits, 4);
    }
    return sum;
}
