#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "footprint.h"

/* The linker tells addresses as numbers. */
static void *at(const struct dl_phdr_info *info, ElfW(Addr) offset)
{
	return (void *)(info->dlpi_addr + offset); /* NOLINT(performance-no-int-to-ptr) */
}

/* What the linker may have written to is not the same as in the file any more, even where
 * nobody may write to it now. */
static void drop_segment(const struct dl_phdr_info *info, const ElfW(Phdr) * segment)
{
	ElfW(Addr) page = (ElfW(Addr))sysconf(_SC_PAGESIZE);
	ElfW(Addr) within = (info->dlpi_addr + segment->p_vaddr) & (page - 1);

	if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
		(void)madvise(at(info, segment->p_vaddr - within),
			      segment->p_filesz + within, MADV_DONTNEED);
}

/* Code that had to be relocated is written to, too. */
static bool has_written_code(const struct dl_phdr_info *info, const ElfW(Phdr) * segment)
{
	const ElfW(Dyn) * entry;

	if (segment->p_type != PT_DYNAMIC)
		return false;
	for (entry = at(info, segment->p_vaddr); entry->d_tag != DT_NULL; entry++)
		if (entry->d_tag == DT_TEXTREL ||
		    (entry->d_tag == DT_FLAGS && entry->d_un.d_val & DF_TEXTREL))
			return true;
	return false;
}

static int drop_object(struct dl_phdr_info *info, size_t size, void *userdata)
{
	(void)size;
	(void)userdata;
	for (size_t i = 0; i < info->dlpi_phnum; i++)
		if (has_written_code(info, &info->dlpi_phdr[i]))
			return 0;
	for (size_t i = 0; i < info->dlpi_phnum; i++)
		drop_segment(info, &info->dlpi_phdr[i]);
	return 0;
}

void footprint_shrink(void)
{
	(void)malloc_trim(0);
	(void)dl_iterate_phdr(drop_object, NULL);
}
