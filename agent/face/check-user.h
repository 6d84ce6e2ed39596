#pragma once

/*
 * Check-user: what the service's user may, as the kernel itself answers: a child takes
 * that user's identity and tries. So access lists, capabilities and mounts all count, and
 * of a service that runs its sandbox, too.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CHECK_USER_NAME	 "asset-agent" /* User= of asset-agent.service */
#define CHECK_GROUPS_MAX 256

struct check_user {
	char name[64];
	uid_t uid;
	gid_t gid;
	gid_t groups[CHECK_GROUPS_MAX];
	size_t group_count;
	bool other; /* than the one who asks */
	int mounts; /* whose mounts it sees: a namespace's descriptor; -1: as we do */
};

/* The service's user where there is one and we are root; else who we are. */
void check_user_find(struct check_user *ret);

/* From now on @user sees what the process @pid sees, where we may look from there. */
void check_user_enter(struct check_user *user, pid_t pid);
void check_user_done(struct check_user *user);

/* One who is nobody, but a member of @group. */
void check_user_member(struct check_user *ret, gid_t group);

/* The answer of @question, called with @data by a child that is @user, and has CAP_LEASE
 * as the unit gives it; a negative errno, or 0 or above. -EPERM, too, where we may not
 * become @user. The question may change nothing but what it finds no name for. */
typedef int (*check_question)(const void *data);
int check_user_ask(const struct check_user *user, check_question question,
		   const void *data);

/* Questions. A directory's path: may its entries be listed and looked at? */
int check_can_read_directory(const void *path);
/* May files be made in it? A file without a name is. */
int check_can_make_files(const void *path);
/* May this file be read? It is, a little. */
int check_can_read_file(const void *path);
/* Is there an inotify instance left? */
int check_can_watch(const void *nothing);
