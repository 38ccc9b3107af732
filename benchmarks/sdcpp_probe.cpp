// What stable-diffusion.cpp reserves for a pass of its denoisers and for its decoders, in the shapes of published models: figures for
// tests/truth/sdcpp.json, one JSON line a graph. Graphs are built and laid out by the program's own allocator, without weights.
//
//   cmake -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build        # leejet/stable-diffusion.cpp with its ggml
//   g++ -std=gnu++17 -fno-access-control -DGGML_MAX_NAME=160 -DGGML_USE_CPU -I. -Isrc -Isrc/core -Iinclude -Ithirdparty -Iggml/include
//       sdcpp_probe.cpp build/libstable-diffusion.a <its libraries of ggml and zip> -lpthread -ldl -lgomp
#include "model/diffusion/flux.hpp"
#include "model/diffusion/krea2.hpp"
#include "model/diffusion/qwen_image.hpp"
#include "model/diffusion/unet.hpp"
#include "model/diffusion/wan.hpp"
#include "model/diffusion/z_image.hpp"
#include "model/vae/auto_encoder_kl.hpp"
#include "model/vae/wan_vae.hpp"
#include <cstdio>
#include "ggml-cpu.h"

using T = sd::Tensor<float>;

static String2TensorStorage names(const std::vector<std::pair<std::string, std::vector<int64_t>>>& given) {
    String2TensorStorage map;
    for (const auto& [name, shape] : given) {
        std::vector<int64_t> ne = shape.empty() ? std::vector<int64_t>{1} : shape;
        map[name] = TensorStorage(name, GGML_TYPE_F16, ne.data(), (int)ne.size(), 0);
    }
    return map;
}

template <typename R>
static void reserve(const char* name, R& runner, const std::function<ggml_cgraph*()>& build) {
    // weights are somewhere else: any address keeps them out of the compute buffer
    size_t weights = 0;
    for (ggml_tensor* t = ggml_get_first_tensor(runner.params_ctx); t != nullptr; t = ggml_get_next_tensor(runner.params_ctx, t)) {
        if (t->data == nullptr) t->data = (void*)64;
        weights += (size_t)ggml_nelements(t);
    }
    ggml_cgraph* graph = nullptr;
    if (!runner.prepare_compute_graph(build, &graph)) { printf("{\"name\": \"%s\", \"failed\": true}\n", name); return; }
    ggml_gallocr_t room = ggml_gallocr_new(ggml_backend_cpu_buffer_type());
    size_t size = 0;
    ggml_gallocr_reserve_n_size(room, graph, nullptr, nullptr, &size);
    printf("{\"name\": \"%s\", \"parameters\": %zu, \"compute_bytes\": %zu}\n", name, weights, size);
    fflush(stdout);
    ggml_gallocr_free(room);
}

int main() {
    sd_set_log_callback(nullptr, nullptr);
    ggml_backend_t cpu = ggml_backend_cpu_init();
    const std::string p = "model.diffusion_model";
    T step({1});
    for (int flash = 0; flash < 2; flash++) {
        auto title = [&](const std::string& text) { return text + (flash ? " flash=True" : " flash=False"); };
        for (int side : {256, 512, 768, 1024}) {
            int l = side / 8;
            auto at = [&](const std::string& text) { return title(text + " pixels=" + std::to_string(side)); };
            {
                Flux::FluxRunner r(cpu, names({{p + ".double_blocks.18.x", {}}, {p + ".single_blocks.37.x", {}}, {p + ".guidance_in.in_layer.weight", {}}}), p, VERSION_FLUX);
                r.set_flash_attention_enabled(flash);
                reserve(at("flux.1-dev").c_str(), r, [&] { return r.build_graph(T({l, l, 16, 1}), step, T({4096, 256, 1}), {}, T({768, 1}), T({1})); });
            }
            {
                Flux::FluxRunner r(cpu, names({{p + ".double_blocks.7.x", {}}, {p + ".single_blocks.47.x", {}}, {p + ".guidance_in.in_layer.weight", {}}, {p + ".txt_in.weight", {15360, 6144}}, {p + ".double_blocks.0.txt_attn.norm.key_norm.scale", {128}}}), p, VERSION_FLUX2);
                r.set_flash_attention_enabled(flash);
                reserve(at("flux.2-dev").c_str(), r, [&] { return r.build_graph(T({l / 2, l / 2, 128, 1}), step, T({15360, 512, 1}), {}, {}, T({1})); });
            }
            {
                Flux::FluxRunner r(cpu, names({{p + ".double_blocks.4.x", {}}, {p + ".single_blocks.19.x", {}}, {p + ".txt_in.weight", {7680, 3072}}, {p + ".double_blocks.0.txt_attn.norm.key_norm.scale", {128}}}), p, VERSION_FLUX2_KLEIN);
                r.set_flash_attention_enabled(flash);
                reserve(at("flux.2-klein-4b").c_str(), r, [&] { return r.build_graph(T({l / 2, l / 2, 128, 1}), step, T({7680, 512, 1})); });
            }
            {
                Flux::FluxRunner r(cpu, names({{p + ".double_blocks.7.x", {}}, {p + ".single_blocks.23.x", {}}, {p + ".txt_in.weight", {12288, 4096}}, {p + ".double_blocks.0.txt_attn.norm.key_norm.scale", {128}}}), p, VERSION_FLUX2_KLEIN);
                r.set_flash_attention_enabled(flash);
                reserve(at("flux.2-klein-9b").c_str(), r, [&] { return r.build_graph(T({l / 2, l / 2, 128, 1}), step, T({12288, 512, 1})); });
            }
            {
                Qwen::QwenImageRunner r(cpu, names({{p + ".transformer_blocks.59.x", {}}}), p);
                r.set_flash_attention_enabled(flash);
                reserve(at("qwen-image").c_str(), r, [&] { return r.build_graph(T({l, l, 16, 1}), step, T({3584, 64, 1})); });
                reserve(at("qwen-image-edit").c_str(), r, [&] { return r.build_graph(T({l, l, 16, 1}), step, T({3584, 64, 1}), {T({l, l, 16, 1})}); });
            }
            {
                ZImage::ZImageRunner r(cpu, {}, p);
                r.set_flash_attention_enabled(flash);
                reserve(at("z-image-turbo").c_str(), r, [&] { return r.build_graph(T({l, l, 16, 1}), step, T({2560, 64, 1})); });
            }
            {
                Flux::FluxRunner r(cpu, names({{p + ".double_blocks.18.x", {}}, {p + ".single_blocks.37.x", {}}, {p + ".guidance_in.in_layer.weight", {}}}), p, VERSION_FLUX);
                r.set_flash_attention_enabled(flash);
                reserve(at("flux.1-kontext-dev").c_str(), r, [&] { return r.build_graph(T({l, l, 16, 1}), step, T({4096, 256, 1}), {}, T({768, 1}), T({1}), {T({l, l, 16, 1})}); });
            }
            {
                Flux::FluxRunner r(cpu, names({{p + ".double_blocks.18.x", {}}, {p + ".single_blocks.37.x", {}}, {p + ".distilled_guidance_layer.in_proj.weight", {}}}), p, VERSION_FLUX);
                r.set_flash_attention_enabled(flash);
                reserve(at("chroma1-hd").c_str(), r, [&] { return r.build_graph(T({l, l, 16, 1}), step, T({4096, 512, 1}), {}, {}, T({1})); });
            }
            {
                Flux::FluxRunner r(cpu, names({{p + ".double_blocks.9.x", {}}, {p + ".single_blocks.19.x", {}}}), p, VERSION_LONGCAT);
                r.set_flash_attention_enabled(flash);
                reserve(at("longcat-image").c_str(), r, [&] { return r.build_graph(T({l, l, 16, 1}), step, T({3584, 512, 1})); });
            }
            {
                Krea2::Krea2Runner r(cpu, names({{p + ".blocks.27.x", {}}}), p);
                r.set_flash_attention_enabled(flash);
                reserve(at("krea-2-turbo").c_str(), r, [&] { return r.build_graph(T({l, l, 16, 1}), step, T({2560 * 12, 64, 1})); });
            }
            {
                UNetModelRunner r(cpu, {}, p, VERSION_SD1);
                r.set_flash_attention_enabled(flash);
                reserve(at("stable-diffusion-v1-5").c_str(), r, [&] { return r.build_graph(T({l, l, 4, 1}), step, T({768, 77, 1})); });
            }
            {
                UNetModelRunner r(cpu, {}, p, VERSION_SDXL);
                r.set_flash_attention_enabled(flash);
                reserve(at("sdxl-base-1.0").c_str(), r, [&] { return r.build_graph(T({l, l, 4, 1}), step, T({2048, 77, 1}), {}, T({2816, 1})); });
            }
        }
        for (int frames : {1, 17, 33, 81}) {
            int n = (frames - 1) / 4 + 1;
            auto at = [&](const std::string& text) { return title(text + " frames=" + std::to_string(frames)); };
            {
                WAN::WanRunner r(cpu, names({{p + ".blocks.39.x", {}}}), p);
                r.set_flash_attention_enabled(flash);
                reserve(at("wan2.1-t2v-14b 832x480").c_str(), r, [&] { return r.build_graph(T({104, 60, n, 16}), step, T({4096, 512, 1})); });
            }
            {
                WAN::WanRunner r(cpu, names({{p + ".blocks.39.x", {}}}), p, VERSION_WAN2_2_I2V);
                r.set_flash_attention_enabled(flash);
                reserve(at("wan2.2-i2v-a14b 832x480").c_str(), r, [&] { return r.build_graph(T({104, 60, n, 16}), step, T({4096, 512, 1}), {}, T({104, 60, n, 20})); });
            }
            {
                WAN::WanRunner r(cpu, names({{p + ".blocks.39.x", {}}, {p + ".img_emb.proj.0.weight", {}}}), p, VERSION_WAN2);
                r.set_flash_attention_enabled(flash);
                reserve(at("wan2.1-i2v-14b 832x480").c_str(), r, [&] { return r.build_graph(T({104, 60, n, 16}), step, T({4096, 512, 1}), T({1280, 257, 1}), T({104, 60, n, 20})); });
            }
            {
                WAN::WanRunner r(cpu, names({{p + ".blocks.39.x", {}}, {p + ".img_emb.emb_pos", {}}}), p, VERSION_WAN2);
                r.set_flash_attention_enabled(flash);
                reserve(at("wan2.1-flf2v-14b 832x480").c_str(), r, [&] { return r.build_graph(T({104, 60, n, 16}), step, T({4096, 512, 1}), T({1280, 514, 1}), T({104, 60, n, 20})); });
            }
            {
                WAN::WanRunner r(cpu, names({{p + ".blocks.39.x", {}}, {p + ".vace_blocks.7.x", {}}}), p, VERSION_WAN2);
                r.set_flash_attention_enabled(flash);
                reserve(at("wan2.1-vace-14b 832x480").c_str(), r, [&] { return r.build_graph(T({104, 60, n, 16}), step, T({4096, 512, 1}), {}, {}, {}, T({104, 60, n, 96})); });
            }
            {
                WAN::WanRunner r(cpu, names({{p + ".blocks.29.x", {}}}), p);
                r.set_flash_attention_enabled(flash);
                reserve(at("wan2.1-t2v-1.3b 832x480").c_str(), r, [&] { return r.build_graph(T({104, 60, n, 16}), step, T({4096, 512, 1})); });
            }
            {
                WAN::WanRunner r(cpu, names({{p + ".blocks.29.x", {}}}), p, VERSION_WAN2_2_TI2V);
                r.set_flash_attention_enabled(flash);
                reserve(at("wan2.2-ti2v-5b 832x480").c_str(), r, [&] { return r.build_graph(T({52, 30, n, 48}), step, T({4096, 512, 1})); });
            }
        }
    }
    for (int side : {256, 512, 1024}) {
        int l = side / 8;
        std::string at = " pixels=" + std::to_string(side);
        { AutoEncoderKL r(cpu, {}, "first_stage_model", true, false, VERSION_FLUX);
          reserve(("vae of flux" + at).c_str(), r, [&] { return r.build_graph(T({l, l, 16, 1}), true); }); }
        { AutoEncoderKL r(cpu, {}, "first_stage_model", true, false, VERSION_SD1);
          reserve(("vae of sd" + at).c_str(), r, [&] { return r.build_graph(T({l, l, 4, 1}), true); }); }
        { AutoEncoderKL r(cpu, {}, "first_stage_model", true, false, VERSION_FLUX2);
          reserve(("vae of flux.2" + at).c_str(), r, [&] { return r.build_graph(T({l / 2, l / 2, 128, 1}), true); }); }
        { WAN::WanVAERunner r(cpu, {}, "first_stage_model", true, VERSION_QWEN_IMAGE);
          reserve(("vae of wan2.1, a picture" + at).c_str(), r, [&] { return r.build_graph_partial(T({l, l, 1, 16}), true, 0); }); }
    }
    for (int frames : {1, 5, 33, 81}) {
        int n = (frames - 1) / 4 + 1;
        std::string at = " frames=" + std::to_string(frames);
        { WAN::WanVAERunner r(cpu, {}, "first_stage_model", true, VERSION_WAN2);
          reserve(("vae of wan2.1, a tile of 256" + at).c_str(), r, [&] { return r.build_graph(T({32, 32, n, 16}), true); }); }
        for (int l : {16, 32}) {
            WAN::WanVAERunner r(cpu, {}, "first_stage_model", true, VERSION_WAN2_2_TI2V);
            reserve(("vae of wan2.2, a tile of " + std::to_string(16 * l) + at).c_str(), r, [&] { return r.build_graph(T({l, l, n, 48}), true); });
        }
    }
    return 0;
}
