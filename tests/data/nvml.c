/* Stands in for the driver's own library, by the declarations of nvml.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef struct device *nvmlDevice_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
static const char *scenario(void) { const char *word = getenv("FAKE_NVML"); return word ? word : ""; }
int nvmlInit_v2(void) {
    puts("chatter"); fflush(stdout);
    if (!strcmp(scenario(), "hang")) sleep(60);
    if (!strcmp(scenario(), "exit")) _exit(3);
    if (!strcmp(scenario(), "crash")) *(volatile int *)0 = 1;
    return strcmp(scenario(), "mismatch") ? 0 : 18;
}
int nvmlSystemGetDriverVersion(char *text, unsigned int size) { snprintf(text, size, "590.48.01"); return 0; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
    *device = (nvmlDevice_t)(0x7f0000001000UL + index); return 0;
}
static int is_part(nvmlDevice_t device) { return (unsigned long)device >> 44 == 6; }
int nvmlDeviceGetName(nvmlDevice_t device, char *text, unsigned int size) {
    snprintf(text, size, "NVIDIA H100 80GB HBM3%s", is_part(device) ? " MIG 1g.10gb" : ""); return 0;
}
int nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    memory->total = (is_part(device) ? 9984ULL : 81559ULL) << 20; memory->used = 478ULL << 20;
    memory->free = memory->total - memory->used; return 0;
}
int nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *now, unsigned int *later) { *now = *later = !strcmp(scenario(), "mig"); return 0; }
int nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count) { *count = 7; return 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *part) {
    *part = (nvmlDevice_t)(0x600000000000UL + index); return index == 0 || index == 6 ? 0 : 6;
}
int nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor) { *major = 9; *minor = 0; return 0; }
int nvmlDeviceGetMemoryBusWidth(nvmlDevice_t device, unsigned int *width) { *width = 5120; return 0; }
int nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, int clock, unsigned int *rate) { *rate = clock == 2 ? 2619 : 1; return 0; }
