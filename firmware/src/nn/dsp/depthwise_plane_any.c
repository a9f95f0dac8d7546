#include "depthwise_plane.h"

void flota_nn_dsp_depthwise_plane_any(const flota_nn_dsp_depthwise_plane_job_t *job) { plane_run(job, 0, 0, 1); }
