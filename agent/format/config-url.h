#pragma once

/*
 * Config url: the URLs that the configuration holds, as libcurl reads them.
 *
 * Only config's own files, and `check`, include this.
 */

#include <stdbool.h>

/* Writes @text in libcurl's normal form. The caller frees it. 0; -EINVAL: not a URL, not
 * http or https, or it has a user, a fragment, or, without @query, a query; -ENOMEM. */
int config_url_normalize(const char *text, bool query, char **ret);

/* 0; -EINVAL: not a proxy ([scheme://][user@]host[:port]); -ENOMEM. */
int config_url_check_proxy(const char *text);

/* Whether what goes to @url, which is normal, can be read on its way: plain http to
 * another machine. 1, 0 or -ENOMEM. */
int config_url_is_exposed(const char *url);
