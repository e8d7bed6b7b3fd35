/* How urgent a request is, as its client states it. The smaller, the more urgent. */
#ifndef SS_BASE_CLASS_H
#define SS_BASE_CLASS_H

enum ss_class { SS_CLASS_REALTIME, SS_CLASS_NORMAL, SS_CLASS_BATCH, SS_CLASSES };

#endif
