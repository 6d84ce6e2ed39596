#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "world-internal.h"

static void write_proc(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* Who may not make namespaces may as root of a namespace of users. */
static void leave(void)
{
	_cleanup_free_ char *users = world_print("0 %u 1", geteuid());
	_cleanup_free_ char *groups = world_print("0 %u 1", getegid());

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) == 0)
		return;
	assert_int_equal(unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS), 0);
	write_proc("/proc/self/uid_map", users);
	write_proc("/proc/self/setgroups", "deny");
	write_proc("/proc/self/gid_map", groups);
}

/* @name is lo, or an alias of it: lo:1. */
static void bring_up(int fd, const char *name, const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct ifreq request = { 0 };

	assert_int_equal(inet_pton(AF_INET, text, &address.sin_addr), 1);
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	memcpy(&request.ifr_addr, &address, sizeof(address));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
}

static void set_hosts(const char *hosts)
{
	char path[] = "/tmp/asset-hosts.XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, hosts, strlen(hosts)), (ssize_t)strlen(hosts));
	assert_int_equal(fchmod(fd, 0644), 0);
	/* Nothing of it must reach the machine. */
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount(path, "/etc/hosts", NULL, MS_BIND, NULL), 0);
	assert_int_equal(unlink(path), 0);
}

void world_own_network(const char *const *addresses, const char *hosts)
{
	_cleanup_close_ int fd = -1;

	leave();
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	bring_up(fd, "lo", "127.0.0.1");
	for (unsigned i = 0; addresses[i]; i++) {
		char name[IFNAMSIZ];

		(void)snprintf(name, sizeof(name), "lo:%u", i);
		bring_up(fd, name, addresses[i]);
	}
	set_hosts(hosts);
}
