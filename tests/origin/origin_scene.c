/* SPDX-License-Identifier: Apache-2.0 */
/* A landscape made by arithmetic: sky, sun, clouds, ridges of hills, water or meadow, trees, grain. A function of a number
 * and of a place in the unit square, so that it looks the same at any resolution and costs nothing to keep. */
#include "origin.h"

#include <math.h>

enum { RIDGES = 4, TREES = 24 };

struct colour {
    float r, g, b;
};

struct tree {
    float x, base, height, width;
};

struct scene {
    uint32_t seed;
    struct colour zenith, horizon, sun_colour, hills[RIDGES], ground;
    float sun_x, sun_y, sun_size, cloud_cover, cloud_scale;
    float ridge_height[RIDGES], ridge_rough[RIDGES];
    float ground_y;
    bool water;
    struct tree trees[TREES];
    unsigned tree_count;
};

static float unit(uint64_t *state) {
    *state = origin_mix(*state);
    return (float)(*state >> 40) * (1.0f / 16777216.0f);
}

static float between(uint64_t *state, float low, float high) {
    return low + (high - low) * unit(state);
}

static struct colour mixed(struct colour a, struct colour b, float t) {
    return (struct colour){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

static struct colour scaled(struct colour c, float factor) {
    return (struct colour){c.r * factor, c.g * factor, c.b * factor};
}

/* One of 2³² lattice values in 0…1. */
static inline float lattice(uint32_t seed, int32_t x, int32_t y) {
    uint32_t h = seed ^ ((uint32_t)x * 0x85ebca6bu) ^ ((uint32_t)y * 0xc2b2ae35u);
    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    h ^= h >> 12;
    h *= 0x297a2d39u;
    h ^= h >> 15;
    return (float)(h >> 8) * (1.0f / 16777216.0f);
}

static inline float noise(uint32_t seed, float x, float y) {
    float fx = floorf(x), fy = floorf(y);
    int32_t ix = (int32_t)fx, iy = (int32_t)fy;
    float tx = x - fx, ty = y - fy;
    tx = tx * tx * (3.0f - 2.0f * tx);
    ty = ty * ty * (3.0f - 2.0f * ty);
    float top = lattice(seed, ix, iy) + (lattice(seed, ix + 1, iy) - lattice(seed, ix, iy)) * tx;
    float low = lattice(seed, ix, iy + 1) + (lattice(seed, ix + 1, iy + 1) - lattice(seed, ix, iy + 1)) * tx;
    return top + (low - top) * ty;
}

static float fractal(uint32_t seed, float x, float y, int octaves) {
    float sum = 0, weight = 0.5f, total = 0;
    for (int i = 0; i < octaves; i++) {
        sum += noise(seed + (uint32_t)i * 7919u, x, y) * weight;
        total += weight;
        weight *= 0.5f;
        x *= 2.03f;
        y *= 2.03f;
    }
    return sum / total;
}

static void plan_sky(struct scene *scene, uint64_t *state) {
    static const struct colour zeniths[] = {{40, 90, 170},  {20, 40, 90},   {90, 120, 160},
                                            {110, 60, 120}, {60, 110, 140}, {15, 18, 40}};
    static const struct colour horizons[] = {{190, 215, 235}, {240, 150, 90},  {215, 215, 210},
                                             {250, 190, 150}, {160, 200, 200}, {90, 80, 110}};
    unsigned kind = (unsigned)(unit(state) * 6.0f) % 6;
    scene->zenith = scaled(zeniths[kind], between(state, 0.85f, 1.15f));
    scene->horizon = scaled(horizons[kind], between(state, 0.85f, 1.05f));
    scene->sun_colour = (struct colour){255, between(state, 200, 250), between(state, 140, 230)};
    scene->sun_x = between(state, 0.1f, 0.9f);
    scene->sun_y = between(state, 0.08f, 0.45f);
    scene->sun_size = between(state, 0.015f, 0.06f);
    scene->cloud_cover = between(state, 0.35f, 0.7f);
    scene->cloud_scale = between(state, 2.0f, 6.0f);
}

static void plan_land(struct scene *scene, uint64_t *state) {
    struct colour near_hill = {between(state, 15, 90), between(state, 30, 100), between(state, 15, 70)};
    float top = between(state, 0.35f, 0.6f);
    for (int i = 0; i < RIDGES; i++) {
        float depth = (float)i / (RIDGES - 1); /* 0 is the farthest: it takes the colour of the air */
        scene->hills[i] = mixed(mixed(scene->horizon, scene->zenith, 0.45f), near_hill, 0.25f + 0.75f * depth);
        scene->ridge_height[i] = top + 0.11f * (float)i;
        scene->ridge_rough[i] = between(state, 0.10f, 0.26f) * (1.2f - 0.7f * depth);
    }
    scene->ground_y = between(state, 0.72f, 0.88f);
    scene->water = unit(state) < 0.4f;
    scene->ground = scene->water ? mixed(scene->zenith, (struct colour){30, 60, 70}, 0.5f)
                                 : (struct colour){between(state, 60, 170), between(state, 90, 150), between(state, 30, 80)};
    scene->tree_count = scene->water ? 0 : (unsigned)between(state, 0, TREES);
    for (unsigned i = 0; i < scene->tree_count; i++) {
        float nearness = unit(state);
        scene->trees[i] =
            (struct tree){unit(state), scene->ground_y + 0.1f * nearness, 0.07f + 0.16f * nearness, 0.02f + 0.04f * nearness};
    }
}

static struct colour sky_at(const struct scene *scene, float u, float v) {
    struct colour sky = mixed(scene->zenith, scene->horizon, fminf(1.0f, v * 1.5f));
    float dx = (u - scene->sun_x) * 1.4f, dy = v - scene->sun_y;
    float distance = sqrtf(dx * dx + dy * dy);
    float glow = distance < scene->sun_size ? 1.0f : 0.35f * expf(-(distance - scene->sun_size) * 7.0f);
    sky = mixed(sky, scene->sun_colour, glow);
    float cloud = fractal(scene->seed, u * scene->cloud_scale, v * scene->cloud_scale * 2.6f, 5);
    float cover = fminf(1.0f, fmaxf(0.0f, (cloud - (1.0f - scene->cloud_cover)) * 3.5f));
    float shade = 0.75f + 0.45f * cloud;
    return mixed(sky, scaled((struct colour){235, 233, 230}, shade), cover * 0.8f);
}

static struct colour ground_at(const struct scene *scene, float u, float v) {
    float depth = (v - scene->ground_y) / (1.0f - scene->ground_y + 0.001f);
    if (scene->water) {
        float ripple = noise(scene->seed + 31u, u * 30.0f, v * (260.0f - 160.0f * depth));
        struct colour mirror = sky_at(scene, u, fmaxf(0.0f, 0.9f - depth * 0.7f));
        return scaled(mixed(scene->ground, mirror, 0.35f + 0.4f * ripple), 0.75f + 0.35f * ripple);
    }
    float grass = fractal(scene->seed + 57u, u * 60.0f / (0.4f + depth), v * 220.0f / (0.4f + depth), 3);
    return scaled(scene->ground, 0.55f + 0.75f * grass);
}

static bool in_tree(const struct scene *scene, float u, float v, float *light) {
    for (unsigned i = scene->tree_count; i-- > 0;) {
        const struct tree *tree = &scene->trees[i];
        float up = (tree->base - v) / tree->height;
        if (up < 0.0f || up > 1.0f) continue;
        float reach =
            tree->width * (up < 0.12f ? 0.12f : (1.0f - up)) * (0.75f + 0.5f * noise(scene->seed + i, u * 90.0f, v * 90.0f));
        if (fabsf(u - tree->x) >= reach) continue;
        *light = 0.45f + 0.5f * noise(scene->seed + 99u + i, u * 160.0f, v * 160.0f) + 0.4f * (u - tree->x) / tree->width;
        return true;
    }
    return false;
}

/* The ridge lines depend on the column alone: worked out once for it. */
static struct colour place_at(const struct scene *scene, float u, float v, const float ridges[RIDGES]) {
    float light = 1.0f;
    if (in_tree(scene, u, v, &light)) return scaled((struct colour){38, 62, 30}, light);
    if (v >= scene->ground_y) return ground_at(scene, u, v);
    for (int i = RIDGES; i-- > 0;) {
        if (v < ridges[i]) continue;
        float texture = fractal(scene->seed + 211u * (uint32_t)i, u * 40.0f, v * 55.0f, 3);
        float haze = fminf(1.0f, (v - ridges[i]) * 3.0f);
        return mixed(scaled(scene->hills[i], 0.65f + 0.7f * texture), scene->horizon, haze * 0.25f);
    }
    return sky_at(scene, u, v);
}

static unsigned char clipped(float value) {
    return value <= 0.0f ? 0 : value >= 255.0f ? 255 : (unsigned char)value;
}

void origin_scene_render(unsigned number, unsigned width, unsigned height, unsigned char *rgb) {
    struct scene scene = {0};
    uint64_t state = origin_mix(0x7069637375ull + number);
    scene.seed = (uint32_t)state;
    plan_sky(&scene, &state);
    plan_land(&scene, &state);
    float grain = between(&state, 2.0f, 9.0f);
    float(*ridges)[RIDGES] = g_malloc_n(width, sizeof *ridges);
    for (unsigned x = 0; x < width; x++)
        for (int i = 0; i < RIDGES; i++) {
            float u = ((float)x + 0.5f) / (float)width;
            float wave = fractal(scene.seed + 1009u * (uint32_t)(i + 1), u * (2.5f + (float)i), 0.5f, 6);
            ridges[x][i] = scene.ridge_height[i] - scene.ridge_rough[i] * (wave - 0.35f);
        }
    for (unsigned y = 0; y < height; y++)
        for (unsigned x = 0; x < width; x++) {
            float u = ((float)x + 0.5f) / (float)width, v = ((float)y + 0.5f) / (float)height;
            struct colour c = place_at(&scene, u, v, ridges[x]);
            float speck = (lattice(scene.seed + 5u, (int32_t)x, (int32_t)y) - 0.5f) * grain;
            *rgb++ = clipped(c.r + speck);
            *rgb++ = clipped(c.g + speck);
            *rgb++ = clipped(c.b + speck);
        }
    g_free(ridges);
}
