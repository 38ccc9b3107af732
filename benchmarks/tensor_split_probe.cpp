// What each of N devices allocates of a GGUF file under a split mode of llama.cpp: devices that hold and compute nothing.
//   g++ -std=c++17 -O1 -w -o tensor-split-probe tensor_split_probe.cpp -I LLAMA_CPP/{include,src,ggml/include,ggml/src} -L BUILD/bin -lllama -lggml -lggml-base
//   tensor-split-probe -m FILE.gguf -n DEVICES [-ts 3,1] [-c N] [-ub N] [-np N] [-ctk TYPE -ctv TYPE]
#include "llama.h"
#include <unistd.h>
#include "ggml-backend.h"
#include "ggml-backend-impl.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>
#include <map>
struct Dev { int i; std::string name; };
static int N = 2;
static std::vector<Dev> devs; static std::vector<ggml_backend_device> devices; static ggml_backend_reg reg_;
static std::vector<ggml_backend_buffer_type> bufts;
static std::string phase = "model";
struct Rec { int dev; std::string phase; size_t size; bool live; };
static std::vector<Rec> recs;
static ggml_guid guid_ = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16};
// buffers
static void b_free(ggml_backend_buffer_t b) { recs[(size_t) b->context].live = false; }
static void * b_base(ggml_backend_buffer_t b) { return (void *) (0x100000000000ull * (1 + recs[(size_t) b->context].dev)); }
static void b_memset(ggml_backend_buffer_t, ggml_tensor *, uint8_t, size_t, size_t) {}
static void b_set(ggml_backend_buffer_t, ggml_tensor *, const void *, size_t, size_t) {}
static void b_get(ggml_backend_buffer_t, const ggml_tensor *, void * d, size_t, size_t n) { memset(d, 0, n); }
static void b_set2(ggml_backend_buffer_t, ggml_tensor *, const void *, size_t, size_t, size_t, size_t, size_t) {}
static void b_get2(ggml_backend_buffer_t, const ggml_tensor *, void *, size_t, size_t, size_t, size_t, size_t) {}
static void b_clear(ggml_backend_buffer_t, uint8_t) {}
static const ggml_backend_buffer_i b_i = { b_free, b_base, nullptr, b_memset, b_set, b_get, b_set2, b_get2, nullptr, b_clear, nullptr };
// types of buffers
static const char * t_name(ggml_backend_buffer_type_t t) { return ((Dev *) t->context)->name.c_str(); }
static ggml_backend_buffer_t t_alloc(ggml_backend_buffer_type_t t, size_t size) {
    recs.push_back({((Dev *) t->context)->i, phase, size, true});
    return ggml_backend_buffer_init(t, b_i, (void *) (recs.size() - 1), size);
}
static size_t t_align(ggml_backend_buffer_type_t) { return 128; }
static size_t t_size(ggml_backend_buffer_type_t, const ggml_tensor * t) { // as ggml-cuda.cu, without flash attention's
    size_t size = ggml_nbytes(t);
    if (ggml_is_quantized(t->type) && t->ne[0] % 512) size += ggml_row_size(t->type, 512 - t->ne[0] % 512);
    return size;
}
static const ggml_backend_buffer_type_i t_i = { t_name, t_alloc, t_align, nullptr, t_size, nullptr };
// backend
static const char * k_name(ggml_backend_t k) { return ((Dev *) k->context)->name.c_str(); }
static void k_free(ggml_backend_t k) { delete k; }
static void k_sync(ggml_backend_t) {}
static ggml_status k_compute(ggml_backend_t, ggml_cgraph *) { return GGML_STATUS_SUCCESS; }
// devices
static const char * d_name(ggml_backend_dev_t d) { return ((Dev *) d->context)->name.c_str(); }
static void d_mem(ggml_backend_dev_t, size_t * f, size_t * t) { *f = *t = 1ull << 40; }
static enum ggml_backend_dev_type d_type(ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_GPU; }
static void d_props(ggml_backend_dev_t d, ggml_backend_dev_props * p) {
    p->name = d_name(d); p->description = d_name(d); p->type = d_type(d); p->device_id = d_name(d); d_mem(d, &p->memory_free, &p->memory_total);
    p->caps = {}; p->caps.async = true; p->caps.host_buffer = false; p->caps.buffer_from_host_ptr = false; p->caps.events = false; p->caps.mmap_support = true;
}
static ggml_backend_t d_init(ggml_backend_dev_t d, const char *) {
    static ggml_backend_i k_i; memset(&k_i, 0, sizeof k_i); k_i.get_name = k_name; k_i.free = k_free; k_i.synchronize = k_sync; k_i.graph_compute = k_compute;
    return new ggml_backend{&guid_, k_i, d, d->context};
}
static ggml_backend_buffer_type_t d_buft(ggml_backend_dev_t d) { return &bufts[((Dev *) d->context)->i]; }
static bool d_op(ggml_backend_dev_t, const ggml_tensor *) { return true; }
static bool d_sb(ggml_backend_dev_t d, ggml_backend_buffer_type_t t) { return t == d_buft(d); }
static const char * r_name(ggml_backend_reg_t) { return "HOLLOW"; }
static size_t r_count(ggml_backend_reg_t) { return devices.size(); }
static ggml_backend_dev_t r_dev(ggml_backend_reg_t, size_t i) { return &devices[i]; }
static void * r_proc(ggml_backend_reg_t, const char *) { return nullptr; }

static ggml_type kv_type(const std::string & s) {
    if (s == "f16") return GGML_TYPE_F16; if (s == "q8_0") return GGML_TYPE_Q8_0; if (s == "q4_0") return GGML_TYPE_Q4_0; if (s == "f32") return GGML_TYPE_F32;
    exit(2);
}
int main(int argc, char ** argv) {
    auto mp = llama_model_default_params(); auto cp = llama_context_default_params();
    cp.swa_full = false; cp.n_ctx = 4096; cp.n_outputs_max_per_seq = 1; cp.n_seq_max = 1;
    mp.split_mode = LLAMA_SPLIT_MODE_TENSOR; mp.n_gpu_layers = 999;
    const char * path = nullptr; int eval = 1; float ts[16] = {0};
    for (int i = 1; i < argc; i++) {
        std::string a = argv[i]; auto v = [&] { return argv[++i]; };
        if (a == "-m") path = v(); else if (a == "-n") N = atoi(v());
        else if (a == "-sm") { std::string s = v(); mp.split_mode = s == "layer" ? LLAMA_SPLIT_MODE_LAYER : s == "none" ? LLAMA_SPLIT_MODE_NONE : LLAMA_SPLIT_MODE_TENSOR; }
        else if (a == "-ts") { char * s = v(); int j = 0; for (char * p = strtok(s, ","); p; p = strtok(nullptr, ",")) ts[j++] = atof(p); mp.tensor_split = ts; }
        else if (a == "-c") cp.n_ctx = atoi(v()); else if (a == "-ub") cp.n_ubatch = atoi(v()); else if (a == "-b") cp.n_batch = atoi(v());
        else if (a == "-np") cp.n_seq_max = atoi(v()); else if (a == "-kvu") cp.kv_unified = atoi(v());
        else if (a == "-fa") cp.flash_attn_type = (llama_flash_attn_type) atoi(v());
        else if (a == "-ctk") cp.type_k = kv_type(v()); else if (a == "-ctv") cp.type_v = kv_type(v());
        else if (a == "-no") cp.n_outputs_max = atoi(v());
        else if (a == "-eval") eval = atoi(v()); else { fprintf(stderr, "bad %s\n", argv[i]); return 2; }
    }
    devs.resize(N); devices.resize(N); bufts.resize(N);
    for (int i = 0; i < N; i++) {
        devs[i] = {i, "HOLLOW" + std::to_string(i)};
        devices[i] = { { d_name, d_name, d_mem, d_type, d_props, d_init, d_buft, nullptr, nullptr, d_op, d_sb, nullptr, nullptr, nullptr, nullptr }, &reg_, &devs[i] };
        bufts[i] = { t_i, &devices[i], &devs[i] };
    }
    reg_ = { GGML_BACKEND_API_VERSION, { r_name, r_count, r_dev, r_proc }, nullptr };
    std::vector<ggml_backend_dev_t> list; for (auto & d : devices) list.push_back(&d); list.push_back(nullptr);
    mp.devices = list.data(); mp.main_gpu = 0;
    llama_model * m = llama_model_load_from_file(path, mp); if (!m) return 3;
    phase = "context";
    llama_context * c = llama_init_from_model(m, cp); if (!c) return 4;
    phase = "run";
    if (eval) {
        std::vector<llama_token> t(llama_n_ubatch(c), 1);
        int r = llama_decode(c, llama_batch_get_one(t.data(), t.size())); if (r) fprintf(stderr, "decode %d\n", r);
    }
    printf("{"); const char * ph[] = {"model", "context", "run"};
    for (int p = 0; p < 3; p++) {
        printf("%s\"%s\":[", p ? "," : "", ph[p]);
        for (int d = 0; d < N; d++) { printf("%s[", d ? "," : ""); bool f = true; for (auto & r : recs) if (r.dev == d && r.phase == ph[p] && r.live && r.size) { printf("%s%zu", f ? "" : ",", r.size); f = false; } printf("]"); }
        printf("]");
    }
    printf("}\n"); fflush(stdout); _exit(0);
}
