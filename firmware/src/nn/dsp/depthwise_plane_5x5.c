#include "depthwise_plane.h"

void flota_nn_dsp_depthwise_plane_5x5(const flota_nn_dsp_depthwise_plane_job_t *job) { plane_run(job, 1, 3, 1); }
