#include "experiments/stepbench/figures.h"

#include <stdio.h>

void figures_say(const struct bed *bed, json_t *rows, const char *what, double value,
                 const char *unit)
{
    if (!rows)
        return;
    printf("%s (%d,%d)  %-44s %12.6g %s\n", bed->model, bed->tp, bed->pp, what, value, unit);
    json_array_append_new(rows, json_pack("{s:s, s:i, s:i, s:s, s:f, s:s}", "model", bed->model,
                                          "tp", bed->tp, "pp", bed->pp, "what", what, "value",
                                          value, "unit", unit));
}
